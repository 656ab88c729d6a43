/**
 * What we use of `@opentelemetry/api`, in types of our own: it is an optional peer, and whoever has not installed it must
 * be able to compile against ours. A test holds them against the installed one.
 */
export interface MetricsApi {
  createNoopMeter(): Meter
  readonly metrics: { getMeter(name: string): Meter }
}

export interface Meter {
  createHistogram(name: string, options: object): Instrument
  createObservableUpDownCounter(name: string, options: object): Observable
  createObservableCounter(name: string, options: object): Observable
  addBatchObservableCallback(callback: (observer: Observer) => void, of: Observable[]): void
  removeBatchObservableCallback(callback: (observer: Observer) => void, of: Observable[]): void
}

export interface Instrument {
  record(value: number, attributes: object): void
}

/** Only handed on. */
export type Observable = object

export interface Observer {
  observe(instrument: Observable, value: number, attributes: object): void
}
