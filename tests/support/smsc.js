// A carrier's SMPP server made of npm's `smpp`, which nobody here wrote: it decodes what we send by its own reading.
// Standard output: one JSON line with the port, then one for each submit_sm. Arguments: system_id password.
'use strict';
const smpp = require('smpp');
const [system_id, password] = process.argv.slice(2);
const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
let taken = 0;

const server = smpp.createServer((session) => {
  session.on('error', () => {});
  session.on('bind_transmitter', (pdu) => {
    const welcome = pdu.system_id === system_id && pdu.password === password;
    session.send(pdu.response({ command_status: welcome ? smpp.ESME_ROK : smpp.ESME_RINVPASWD }));
    // Asked at once, before anything is submitted: a client that doesn't answer loses its bind.
    if (welcome) session.enquire_link({}, () => say({ alive: true }));
  });
  session.on('submit_sm', (pdu) => {
    const to = pdu.destination_addr;
    if (to.endsWith('66')) return session.send(pdu.response({ command_status: smpp.ESME_RINVDSTADR }));
    const { udh, message } = pdu.short_message;
    taken += 1;
    say({
      to,
      ton: pdu.dest_addr_ton,
      from: pdu.source_addr,
      text: message,
      udh: udh ? udh.map((part) => part.toString('hex')) : null,
    });
    if (to.endsWith('77')) return session.destroy();
    return session.send(pdu.response({ message_id: 'id' + taken }));
  });
  session.on('unbind', (pdu) => {
    session.send(pdu.response());
    session.close();
  });
});
server.listen(0, '127.0.0.1', () => say({ port: server.address().port }));
process.stdin.on('end', () => process.exit(0)).resume();
