import { Socket } from 'node:net'

/** Counts this process' attempts to connect to a port, also those that are refused. */
export function countConnects(port: string): () => number {
  let connects = 0
  const { connect } = Socket.prototype
  Socket.prototype.connect = function (this: Socket, ...args: unknown[]) {
    if (String(args[0]) === port) connects += 1
    return Reflect.apply(connect, this, args)
  } as typeof connect
  return () => connects
}
