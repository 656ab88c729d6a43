import Fastify from 'fastify'
import { countConnects } from './connect-count.js'
import { refusals } from './refusals.js'
import { servers } from './servers.js'

/** One of the servers in a process of its own. It says where it listens, and then whatever it is asked. */
const [name = '', url = '', engineOptions = '{}'] = process.argv.slice(2)
const connects = countConnects(new URL(url).port)
const app = Fastify()
const refused = refusals(app)
await servers[name]?.(app, url, JSON.parse(engineOptions))

const events: { name: string; at: number }[] = []
if (name.startsWith('ours')) {
  for (const name of ['generation', 'down', 'up'] as const) {
    app.db.on(name, () => events.push({ name, at: Date.now() }))
  }
}

const address = await app.listen({ host: '127.0.0.1', port: 0 })
process.send?.(Number(new URL(address).port))
process.on('message', (message: string) => {
  if (message === 'collect') globalThis.gc?.()
  process.send?.({
    connects: connects(),
    events,
    heap: process.memoryUsage().heapUsed,
    rss: process.memoryUsage().rss,
    refusedMs: refused(),
    status: name.startsWith('ours') ? app.db.status() : undefined
  })
})
process.on('disconnect', () => process.exit())
