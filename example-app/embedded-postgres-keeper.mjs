// A process of its own that stands between a program and its PostgreSQL server. It is the parent of
// the server and owns the server's folder, and the channel to the program is its lifeline: however
// the program ends, be it by SIGKILL, the channel closes, and server and folder go with it.
//
// Plain JavaScript, because Node.js 20 runs nothing else; driven by embedded-postgres-keeper.ts.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'

/** How long PostgreSQL may take to stop at once; it gives its own processes five seconds. */
const PATIENCE_MS = 15_000

const [folder] = process.argv.slice(2)

/** At most one at a time: initdb, later the server. */
let child

function run({ file, args, options }) {
  child = spawn(file, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
  if (child.pid) tell({ pid: child.pid })
  // Read always, and here: a program that is busy must not stop its server from logging.
  child.stderr.setEncoding('utf8').on('data', text => tell({ wrote: text }))
  child.on('error', error => tell({ wrote: `${error.message}\n` }))
  // Not 'exit': 'close' comes when the last process that inherited stderr is gone as well.
  child.on('close', (code, signal) => {
    child = undefined
    tell({ closed: signal ?? code })
  })
}

function tell(message) {
  // With a callback, lest a program that ended this very moment is an error of ours (EPIPE).
  if (process.connected) process.send(message, () => {})
}

async function finish() {
  if (child) {
    const patience = setTimeout(() => child?.kill('SIGKILL'), PATIENCE_MS)
    // A frozen server would not notice the request. Windows knows neither freezing nor SIGCONT.
    if (process.platform !== 'win32') child.kill('SIGCONT')
    child.kill('SIGQUIT')
    await once(child, 'close')
    clearTimeout(patience)
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 10 })
}

// `pkill node` means the program too, and then this is needed more than ever.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {})
process.on('message', message => {
  if (message.run) run(message.run)
  if (message.signal) child?.kill(message.signal)
})
process.on('disconnect', finish)
// The program may have ended before this line was reached.
if (!process.connected) await finish()
