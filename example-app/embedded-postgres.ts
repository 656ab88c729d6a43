import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Cluster, prepareCluster, SUPERUSER } from './embedded-postgres-cluster.js'
import { Keeper } from './embedded-postgres-keeper.js'
import { freePort } from './free-port.js'

export interface EmbeddedPostgresOptions {
  /** Stays afterwards, and is used as it is if there is a cluster in it. Default: a throwaway. */
  dataDirectory?: string
  /** Default: a free one. */
  port?: number
  /** As in postgresql.conf, in force from every start on. */
  settings?: Record<string, string>
}

/** As PostgreSQL defines them: wait for the clients, send them away, or drop everything at once. */
export type ShutdownMode = 'smart' | 'fast' | 'immediate'

const SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const

/** Given last at every start: without them we would not find the server, or not see it ready. */
const FIXED = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  logging_collector: 'off',
  log_destination: 'stderr',
  log_min_messages: 'log',
  lc_messages: 'C'
}
const READY = 'ready to accept'

const BIND_ATTEMPTS = 5

/**
 * A real PostgreSQL server of one's own, as an ordinary user or as root. Server and files go when
 * `remove()` is called and when the program ends, in whatever way.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions = {}
): Promise<EmbeddedPostgres> {
  const folder = join(tmpdir(), `embedded-postgres-${randomBytes(6).toString('hex')}`)
  const keeper = new Keeper(folder)
  try {
    const dataDirectory = resolve(options.dataDirectory ?? join(folder, 'data'))
    const cluster = await prepareCluster(keeper, folder, dataDirectory)
    return await startOnFreePort(keeper, cluster, options)
  } catch (error) {
    await keeper.end()
    throw error
  }
}

async function startOnFreePort(
  keeper: Keeper,
  cluster: Cluster,
  options: EmbeddedPostgresOptions
): Promise<EmbeddedPostgres> {
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort())
    const postgres = new EmbeddedPostgres(keeper, cluster, port, options.settings ?? {})
    try {
      await postgres.start()
      return postgres
    } catch (error) {
      // Between our look and PostgreSQL's bind somebody else may have taken it.
      const isTaken = error instanceof Error && error.message.includes('could not bind')
      if (!isTaken || options.port !== undefined || attempt === BIND_ATTEMPTS) throw error
    }
  }
}

export class EmbeddedPostgres implements AsyncDisposable {
  readonly host = '127.0.0.1'
  readonly port: number
  readonly user = SUPERUSER
  readonly password: string
  readonly database = 'postgres'
  readonly dataDirectory: string
  readonly #keeper: Keeper
  readonly #cluster: Cluster
  readonly #settings: Record<string, string>

  constructor(keeper: Keeper, cluster: Cluster, port: number, settings: Record<string, string>) {
    this.port = port
    this.password = cluster.password
    this.dataDirectory = cluster.dataDirectory
    this.#keeper = keeper
    this.#cluster = cluster
    this.#settings = settings
  }

  get url(): string {
    return `postgres://${this.user}:${this.password}@${this.host}:${this.port}/${this.database}`
  }

  /** Of the postmaster; undefined while the server is stopped. */
  get pid(): number | undefined {
    return this.#keeper.pid
  }

  /** Resolves when the server takes connections, on the same port as ever. */
  async start(): Promise<void> {
    if (this.#keeper.running) return
    const settings = { ...this.#settings, ...FIXED, port: this.port }
    await this.#keeper.serve(this.#cluster.server(settings), READY)
  }

  /** Resolves when the last process of the server is gone. */
  async stop(mode: ShutdownMode = 'fast'): Promise<void> {
    await this.#keeper.kill(SIGNALS[mode])
  }

  async restart(mode: ShutdownMode = 'fast'): Promise<void> {
    await this.stop(mode)
    await this.start()
  }

  /** Stops the server and removes its files; a `dataDirectory` of the caller's stays. */
  async remove(): Promise<void> {
    await this.stop('fast')
    await this.#keeper.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove()
  }
}
