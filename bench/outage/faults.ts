import { parseArgs } from 'node:util'
import { startEmbeddedPostgres } from '../../example-app/embedded-postgres.js'
import { freeze } from './freeze.js'
import { kills } from './kills.js'
import { overload } from './overload.js'

const HELP = `npm run bench:faults -- [options]

What else may happen to a database under load. By default ours, with its defaults, is asked.

  --only TEXT     faults whose name contains it: freeze (10 s of SIGSTOP), kills (50 backends a second for 30 s),
                  overload (10 times what can be served, for a minute)
  --server TEXT   one of the servers of bench:outage
`
const FAULTS = { freeze, kills, overload }

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    server: { type: 'string', default: 'ours, transactions with retries' },
    help: { type: 'boolean', default: false }
  }
})

async function main(): Promise<void> {
  if (options.help) {
    process.stdout.write(HELP)
    return
  }
  for (const [name, fault] of Object.entries(FAULTS)) {
    if (!name.includes(options.only)) continue
    await using postgres = await startEmbeddedPostgres()
    const found = await fault(postgres, options.server)
    console.log(`${name}:`)
    console.table([found].flat())
  }
}

await main()
