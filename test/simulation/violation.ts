/** What must hold at every step, whatever happens. */
export type Invariant =
  | 'slots are conserved'
  | 'the limit is kept'
  | 'first come, first served'
  | 'nobody waits past the deadline'
  | 'nobody waits past recovery_timeout'
  | 'nobody is refused without cause'
  | 'nobody connects but the prober'
  | 'few connect at once'
  | 'the gate is where it must be'
  | 'no lost wake-up'
  | 'who wants a fresh client gets no idle one'
  | 'no unfit client is handed out'
  | 'nobody is handed an unverified client'
  | 'no needless ping'
  | 'a client has one borrower'
  | 'idle clients are lent in the order of the option'
  | 'every checkout settles exactly once'
  | 'a client is closed exactly once'
  | 'a client is closed for cause only'
  | 'a generation is invalidated once per incident'
  | 'an invalidated generation is closed'
  | 'each client has an age limit of its own'
  | 'what is too old is replaced'
  | 'surplus idle clients go'
  | 'hooks are told'
  | 'counters are right'
  | 'no timer or listener is left'
  | 'close comes to an end'
  | 'a closed pool stays closed'
  | 'full capacity after the faults'
  | 'nothing throws'
  | 'everything comes to rest'

/** The first thing that went wrong in a world; what follows from it is not looked at. */
export interface Violation {
  readonly invariant: Invariant
  readonly detail: string
}
