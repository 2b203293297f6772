"""The board: every campaign from every source, what needs somebody first."""

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from opsconsole import actions
from opsconsole.actions import Place
from opsconsole.board import Board
from opsconsole.verdict import Verdict
from screens.base import Command, ConsoleScreen, registry_bindings
from screens.narrowed import Narrowed
from screens.widgets.detail import Detail
from screens.widgets.table import CampaignTable, Heads
from screens.widgets.tabs import FIRST_VIEW, LAST_VIEW, TABS, Tabs, ViewTabs
from screens.work import in_thread

if TYPE_CHECKING:
    from opsconsole.views import View, Views


class BoardScreen(ConsoleScreen):
    """The first screen, and the last: leaving it leaves the console."""

    PLACE = Place.BOARD
    KEYS: ClassVar[tuple[tuple[str, str], ...]] = (
        ("/", "filter"),
        ("1-5", "groups"),
        ("6-9", "views"),
        ("< > = -", "sort"),
        ("ctrl+s", "save view"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *registry_bindings(Place.BOARD),
        # With priority, so that the field has the focus before the next key is looked at: over a slow link many
        # come at once, and what is typed into a filter must never act on a campaign.
        Binding("slash", "filter", "filter", show=False, priority=True),
        Binding("ctrl+s", "save_view", "save what is shown as a view", show=False, priority=True),
        Binding("less_than_sign", "sort_next(-1)", "sort by the column before", show=False),
        Binding("greater_than_sign", "sort_next(1)", "sort by the column after", show=False),
        Binding("equals_sign", "sort_by('')", "the board's own order", show=False),
        Binding("minus", "reverse", "turn the order round", show=False),
        *(Binding(str(number), f"group({number})", str(group or "All")) for number, group in enumerate(TABS, 1)),
        *(
            Binding(str(number), f"view({number})", "saved view", show=False)
            for number in range(FIRST_VIEW, LAST_VIEW + 1)
        ),
    ]
    CSS_PATH = "board.tcss"

    def __init__(self) -> None:
        super().__init__()
        self._table = CampaignTable()
        self._narrowed = Narrowed()
        self._wrong = self._unknown = ""
        self._views: tuple[View, ...] = ()
        self._turn = 0

    @property
    def slug(self) -> str:
        return self._table.slug

    @property
    def crumbs(self) -> tuple[str, ...]:
        return ()

    def body(self) -> ComposeResult:
        # Filled before it is laid out: filled afterwards, everything would be painted twice.
        self._board = self.ops.board
        self._table.show(self._board.verdicts, self.ops.now(), self._nothing())
        yield Tabs()
        yield ViewTabs()
        yield Heads(self._table)
        yield self._table
        yield Detail()

    def on_mount(self) -> None:
        self._table.focus()
        self.call_after_refresh(self._load_views)

    def board_changed(self, board: Board) -> None:
        self._arrange()

    def _arrange(self) -> None:
        """Filter and sort in a thread; the newest wish wins."""
        self._turn += 1
        turn = self._turn

        def arranged(answer: tuple[tuple[Verdict, ...], str]) -> None:
            if turn == self._turn:
                self._show(*answer)

        work = self._narrowed.work(self.ops.board, self.ops.local_zone, self.ops.now())
        in_thread(self, work, arranged, name="arrange")

    def _show(self, found: tuple[Verdict, ...], unknown: str) -> None:
        tabs, heads, before = self.query_one(Tabs), self.query_one(Heads), self.slug
        group, text = self._narrowed.group, self._narrowed.text
        same = self._table.used and (tabs.chosen, tabs.text) == (group, text)
        tabs.chosen, tabs.text, tabs.found = group, text, len(found)
        heads.sort, heads.reverse = self._narrowed.sort, self._narrowed.reverse
        self._unknown = unknown
        self._table.show(found, self.ops.now(), self._nothing())
        self._mark_view()
        if same and before and self.slug != before and (gone := self.ops.get(before)):
            on = f"The cursor is on {self.slug} now" if self.slug else "Nothing is left"
            self.ops.tell(f"{before} is {gone.status} and left this list. {on}: look before you press.", "warning")
        self.freshen()

    def _nothing(self) -> str:
        if self._narrowed.text:
            why = self._unknown or f"No campaign here has '{self._narrowed.text}'."
            return f"{why} Escape clears the filter."
        if not self.ops.board.sources:
            return "Asking every source for the first time…"
        return f"Nothing in {self._narrowed.group or 'any source'}."

    def freshen(self) -> None:
        super().freshen()
        for part in self.query("Tabs, ViewTabs, Heads, Detail"):
            part.refresh_words()  # type: ignore[attr-defined]

    @on(CampaignTable.Moved)
    def _moved(self) -> None:
        self.freshen()

    @on(CampaignTable.Opened)
    def _opened(self) -> None:
        self.action_perform("open")

    def on_resize(self) -> None:
        self.call_after_refresh(self.freshen)

    def action_perform(self, action_id: str) -> None:
        self.ops.perform(action_id, self.slug if actions.BY_ID[action_id].about_campaign else "")

    def action_group(self, number: int) -> None:
        self._narrowed.group = TABS[number - 1]
        self._arrange()

    # The order.

    def action_sort_by(self, column: str) -> None:
        from opsconsole.ordering import SORTS

        now = self._narrowed
        if column in SORTS:
            now.order(column, column == now.sort and column != "" and not now.reverse)
            self._arrange()

    def action_sort_next(self, by: int) -> None:
        from opsconsole.ordering import SORTS

        self._narrowed.order(SORTS[(SORTS.index(self._narrowed.sort) + by) % len(SORTS)], False)
        self._arrange()

    def action_reverse(self) -> None:
        self._narrowed.order(self._narrowed.sort, not self._narrowed.reverse)
        self._arrange()

    # The filter.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Within a field a slash is a letter."""
        if action == "filter" and self.focused is not None and self.focused is not self._table:
            return False
        return super().check_action(action, parameters)

    async def action_filter(self) -> None:
        from screens.widgets.filter import Field, Filter

        self._close("Naming")
        if not self.query(Filter):
            await self.mount(Filter(self._narrowed.text, self), before=self.query_one(Heads))
        self.set_focus(self.query_one(Filter).query_one(Field))  # at once: the next key is meant for it

    def action_back(self) -> None:
        """Escape: leave the name, else clear the filter; else put away what was found at the start."""
        if self._close("Naming"):
            return
        closed, self._wrong = self._close("Filter"), ""
        if self._narrowed.text:
            self.narrow("")
        elif not closed:
            self.ops.put_away_findings()

    def leave_filter(self) -> None:
        """Back to the list; a filter that can't be read stays, so that what is wrong with it stays in sight."""
        if self._wrong:
            self._table.focus()
        else:
            self._close("Filter")

    def _close(self, fields: str) -> bool:
        """Take away the fields of that kind; whether there were any."""
        found = self.query(fields)
        if not found:
            return False
        self.set_focus(self._table)
        found.remove()
        return True

    def narrow(self, text: str) -> None:
        """Show only what matches `text`. What can't be read in it narrows nothing, and is told beside the field."""
        from opsconsole.filters import readable

        good, self._wrong = readable(text, self.ops.local_zone, self.ops.now())
        if good != self._narrowed.text:
            self._narrowed.read(good, self.ops.local_zone, self.ops.now())
            self._arrange()
        for note in self.query("Filter Note"):
            note.say(self._wrong)  # type: ignore[attr-defined]

    # Saved views.

    def _load_views(self) -> None:
        def load() -> "Views":
            from opsconsole import views

            return views.load(self.ops.configured_views, views.views_path(self.ops.data_dir))

        in_thread(self, load, self._take_views, name="load-views")

    def _take_views(self, known: "Views") -> None:
        self._views = known.views
        if known.trouble:
            self.ops.tell(known.trouble, "warning")
        self._mark_view()

    def _mark_view(self) -> None:
        tabs = self.query_one(ViewTabs)
        chosen = (v.name for v in self._views if v.query == self._narrowed.text and self._narrowed.group is None)
        tabs.views, tabs.chosen = self._views, next(chosen, "")
        tabs.refresh_words()

    def action_view(self, number: int) -> None:
        if number - FIRST_VIEW < len(self._views):
            self.show_view(self._views[number - FIRST_VIEW])
        else:
            self.ops.tell("No view has this key yet: filter and sort, then save that with ctrl+s.")

    def show_view(self, view: "View") -> None:
        """Show exactly what the view asks for, of all groups."""
        from opsconsole.filters import FilterError

        wanted = Narrowed()
        try:
            wanted.read(view.query, self.ops.local_zone, self.ops.now())
        except FilterError as error:
            self.ops.tell(f"The view {view.name} can't be read: {error}", "warning")
            return
        self._close("Filter, Naming")
        self._narrowed, self._wrong = wanted, ""
        self._arrange()

    async def action_save_view(self) -> None:
        from screens.widgets.filter import Field, Naming

        query = self._narrowed.as_text()
        if not query or self._wrong:
            self.ops.tell(
                self._wrong or "There is nothing to save: filter, sort or choose a group first.", "warning"
            )
        elif not self.query(Naming):
            self._close("Filter")
            await self.mount(Naming(query), before=self.query_one(Heads))
            self.set_focus(self.query_one(Naming).query_one(Field))

    def save_view_as(self, name: str) -> None:
        """Keep what is shown under `name`; what is wrong with that name stands under the field."""
        from opsconsole import views

        query = self._narrowed.as_text()
        configured, path = self.ops.configured_views, views.views_path(self.ops.data_dir)

        def saved(known: "Views") -> None:
            self._take_views(known)
            self.show_view(known.get(name))
            self.ops.tell(f"Saved as the view {name}: {query}")

        def failed(error: Exception) -> None:
            for note in self.query("Naming Note"):
                note.say(str(error))  # type: ignore[attr-defined]

        in_thread(self, partial(views.save, configured, path, name, query), saved, failed, name="save-view")

    def forget_view(self, name: str) -> None:
        from opsconsole import views

        configured, path = self.ops.configured_views, views.views_path(self.ops.data_dir)
        work = partial(views.forget, configured, path, name)
        in_thread(self, work, self._take_views, lambda error: self.ops.tell(error, "error"), name="forget-view")

    def commands(self) -> tuple[Command, ...]:
        """Every view by its name, and what can be done with views, for the palette."""
        shown = [(f"view: {v.name}", v.query, partial(self.show_view, v)) for v in self._views]
        own = [(f"forget view: {v.name}", v.query, partial(self.forget_view, v.name)) for v in self._views if v.own]
        return (
            *shown,
            ("view: save what is shown  [ctrl+s]", self._narrowed.as_text(), self.action_save_view),
            *own,
        )
