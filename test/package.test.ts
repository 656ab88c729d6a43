import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startPostgres } from './fixtures/postgres.js'

const root = join(import.meta.dirname, '..')

/** What an application in CommonJS writes. Prints what it has seen. */
const APPLICATION = `
const Fastify = require('fastify')
const dbPlugin = require('fastify-pg-engine')
const { DisconnectedError, toProblem } = dbPlugin
const app = Fastify()
app.register(dbPlugin, { url: process.argv[2], env: {} })
app.get('/', async request => (await request.db.query('select 1 one')).rows)
app.inject('/').then(async response => {
  await app.close()
  const { code } = toProblem(new DisconnectedError())
  console.log(JSON.stringify({ status: response.statusCode, rows: response.json(), code }))
})
`

t.test('the built package is required from CommonJS', async t => {
  const postgres = await startPostgres(t)
  const folder = t.testdir()
  const installed = join(folder, 'node_modules', 'fastify-pg-engine')
  mkdirSync(installed, { recursive: true })
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const outDir = join(installed, 'dist')
  execFileSync(process.execPath, [tsc, '-p', join(root, 'src'), '--noCheck', '--outDir', outDir])
  cpSync(join(root, 'package.json'), join(installed, 'package.json'))
  // Only what an installed package would find.
  for (const name of ['fastify', 'fastify-plugin', 'pg', 'zod']) {
    symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name))
  }
  // Or the name would lead back to this repository.
  writeFileSync(join(folder, 'package.json'), '{ "name": "application" }')
  writeFileSync(join(folder, 'application.cjs'), APPLICATION)
  const output = execFileSync(process.execPath, ['application.cjs', postgres.url], {
    cwd: folder,
    encoding: 'utf8',
    env: {}
  })
  t.same(JSON.parse(output), { status: 200, rows: [{ one: 1 }], code: 'FST_DB_DISCONNECTED' })
})
