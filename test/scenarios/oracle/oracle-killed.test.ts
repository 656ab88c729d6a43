import t from 'tap'
import { ALL_KINDS } from './kinds.js'
import { consultOracle } from './oracle.js'

const kinds = ALL_KINDS.filter(({ isVerified }) => !isVerified)
await consultOracle(t, kinds, ['kill'])
