import t from 'tap'
import { ALL_KINDS } from './kinds.js'
import { consultOracle } from './oracle.js'

await consultOracle(t, ALL_KINDS, ['silence'])
