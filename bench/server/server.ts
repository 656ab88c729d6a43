import Fastify from 'fastify'
import { servers } from './servers.js'

/** One of the servers in a process of its own. It says where it listens, and how much CPU it has used when it is asked. */
const [name = '', url = ''] = process.argv.slice(2)
const app = Fastify()
await servers[name]?.(app, url)
const address = await app.listen({ host: '127.0.0.1', port: 0 })
process.send?.(Number(new URL(address).port))
process.on('message', () => process.send?.(process.cpuUsage()))
process.on('disconnect', () => process.exit())
