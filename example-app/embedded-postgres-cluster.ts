import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findBinaries, findServerUser, giveTo } from './embedded-postgres-binaries.js'
import type { Keeper, Program } from './embedded-postgres-keeper.js'

/** A data directory on disk, with all that is needed to run a server on it. */
export interface Cluster {
  readonly dataDirectory: string
  readonly password: string
  server(settings: Record<string, string | number>): Program
}

export const SUPERUSER = 'postgres'

/** Written into the new postgresql.conf, so that the caller and ALTER SYSTEM can overrule them. */
const SMALL_AND_QUICK = {
  shared_buffers: '16MB',
  max_connections: '100',
  io_method: 'sync',
  fsync: 'off',
  full_page_writes: 'off',
  // In files of the data directory: a server killed half-way would leave /dev/shm littered.
  ...(process.platform !== 'win32' && { dynamic_shared_memory_type: 'mmap' })
}

/** In the data directory, so that a kept one, or a copy of it, can be started again. */
const PASSWORD_FILE = 'embedded-postgres-password'

/** `folder` is for all that is not to be kept; the keeper is the one that removes it. */
export async function prepareCluster(
  keeper: Keeper,
  folder: string,
  dataDirectory: string
): Promise<Cluster> {
  await mkdir(folder, { mode: 0o700 })
  await mkdir(dataDirectory, { mode: 0o700, recursive: true })
  const found = await readdir(dataDirectory)
  const isCluster = found.includes(PASSWORD_FILE)
  // Before giveTo(): as root it would take somebody's files away from them.
  if (!isCluster && found.length > 0) {
    throw new Error(`${dataDirectory} is neither empty nor made by an earlier run`)
  }

  const user = await findServerUser()
  await giveTo(user, folder)
  await giveTo(user, dataDirectory)
  const native = await findBinaries(user, folder)
  const options = { ...user, cwd: folder, env: environment() }
  if (!isCluster) {
    const password = randomBytes(18).toString('base64url')
    const passwordFile = join(folder, 'password')
    await writeFile(passwordFile, password, { mode: 0o600 })
    await giveTo(user, passwordFile)
    const file = join(native, 'bin', 'initdb')
    await keeper.run({ file, args: initdbArguments(dataDirectory, passwordFile), options })
    // Last: what has this file is complete.
    await writeFile(join(dataDirectory, PASSWORD_FILE), password, { mode: 0o600 })
  }

  return {
    dataDirectory,
    password: await readFile(join(dataDirectory, PASSWORD_FILE), 'utf8'),
    server: settings => ({
      file: join(native, 'bin', 'postgres'),
      args: ['-D', dataDirectory, ...asArguments(settings)],
      options
    })
  }
}

/** PostgreSQL's own variables, such as PGPORT, are about somebody else's server. */
function environment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^PG|^LC_|^LANG/.test(name))
  return { ...Object.fromEntries(own), LC_ALL: 'C', TZ: 'UTC' }
}

function initdbArguments(dataDirectory: string, passwordFile: string): string[] {
  return [
    `--pgdata=${dataDirectory}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--no-locale',
    '--no-sync',
    ...asArguments(SMALL_AND_QUICK)
  ]
}

function asArguments(settings: Record<string, string | number>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}
