// DynamoDB by npm's dynalite, on loopback: tells its port in one line, and ends when its input does.
const server = require('dynalite')({ createTableMs: 50, deleteTableMs: 0, updateTableMs: 0 })
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })))
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
