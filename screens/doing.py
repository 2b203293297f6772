"""An operation under way: it goes on whether anybody looks or not, and can be stopped between two of its steps."""

import threading
import time
from typing import TYPE_CHECKING

from opsconsole.ports import Operated, Operation
from screens.attach import Stream
from screens.work import in_thread

if TYPE_CHECKING:
    from screens.app import OpsConsoleApp


class Doing:
    """Set by its own thread and the screens' loop; only read by screens."""

    def __init__(self, operation: Operation, value: str) -> None:
        self.operation, self.value = operation, value
        self.stream: Stream | None = None
        self.result: Operated | None = None
        self.trouble = ""  # why it didn't, or isn't known to, come to its end
        self.stop = threading.Event()

    @property
    def going(self) -> bool:
        return self.stream is not None and self.result is None and not self.trouble

    @property
    def quit_warning(self) -> str:
        return f"{self.operation.label} is still going. Leaving breaks it off, wherever it is; f9 stops it first."

    def start(self, ops: "OpsConsoleApp", typed: str, reason: str) -> bool:
        """Begin, in a thread; False, and told, where its output can't be kept."""
        name = f"operation-{time.strftime('%Y%m%dT%H%M%S')}-{id(self):x}.log"
        try:
            stream = self.stream = Stream(ops.data_dir / "logs" / name)
        except OSError as error:
            ops.tell(f"Its output can't be kept ({error.strerror}): nothing was done. Free some disk.", "error")
            return False
        console, operation = ops.ops_console, self.operation

        def work() -> Operated:
            try:
                return console.operate(operation, self.value, typed, reason, stream.take, self.stop)
            finally:
                stream.close()

        def ended(result: Operated) -> None:
            self.result = result
            ops.tell(f"{operation.label}: {'stopped. ' if result.stopped else ''}{result.says} Recorded.")
            ops.freshen()

        def failed(error: Exception) -> None:
            self.trouble = str(error)
            ops.tell(f"{operation.label}: {error}", "error")
            ops.freshen()

        ops.doing.append(self)
        in_thread(ops, work, ended, failed, name="operation")
        return True
