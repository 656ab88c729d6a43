import t from 'tap'
import { enabledKinds } from './kinds.js'
import { consultOracle } from './oracle.js'

const kinds = enabledKinds.filter(({ isVerified }) => isVerified)
await consultOracle(t, kinds, ['fin', 'rst'])
