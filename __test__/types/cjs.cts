// index.d.ts as a CommonJS consumer sees it. Checked by `npm run lint` (tsc), never run.

import heaprs = require('heaprs')

const file: string = heaprs.writeHeapSnapshot()
heaprs.writeHeapSnapshot('a.heapsnapshot.gz', { exposeInternals: true })
// @ts-expect-error unknown options are mistakes
heaprs.writeHeapSnapshot(file, { exposeInternal: true })
heaprs.getHeapSnapshot({ exposeNumericValues: true }).pipe(process.stdout)

const listening: heaprs.Dump = heaprs.listen({ path: 'heaprs.sock', redact: 'names' }).on('dump', ({ file }) => console.log(file))
listening.dispose()
// @ts-expect-error the caller says where to
heaprs.listen({ file })

const detector: heaprs.LeakDetector = new heaprs.LeakDetector({ sensitivity: 'high', minGrowth: 1e6, cooldownMs: 1000 }).start()
detector
  .on('gc', (gc) => {
    const kind: 'scavenge' | 'mark-sweep-compact' | 'incremental-marking' | 'weak-callbacks' | 'minor-mark-sweep' = gc.kind
    const bytes: number = gc.usedAfter - gc.usedBefore + gc.external + gc.heapLimit
    console.log(kind, bytes, gc.pauseMs.toFixed(), gc.timestamp)
  })
  .once('leak', (leak) => {
    const start: Date = leak.start
    console.log(start, leak.growth, leak.reason, leak.suspects[0]?.holder, leak.timeToLimitMs?.toFixed())
  })
// @ts-expect-error there is no such sensitivity
new heaprs.LeakDetector({ sensitivity: 'extreme' })
// @ts-expect-error there is no such event
detector.on('leek', () => {})
// @ts-expect-error a gc event has no growth
detector.on('gc', (gc) => gc.growth)
const running: boolean = detector.running
// @ts-expect-error it says what is, nothing else
detector.running = !running
detector.stop()

// As an emitter among others, for code that takes any.
const emitter: import('node:events').EventEmitter = detector
emitter.removeAllListeners()

import { expectNoLeak, LeakError } from 'heaprs/testing'
expectNoLeak(async () => {}, { rounds: 20, warmup: 5, allow: ['Job'] }).catch((error: LeakError) => {
  const [leak] = error.leaks
  const code: 'ERR_HEAPRS_LEAK' = error.code
  console.log(code, leak?.holder, leak?.countPerRound.toFixed(), leak?.path[0]?.className)
})
// @ts-expect-error no such option
expectNoLeak(() => {}, { round: 1 })

// The sub-paths.
import memwatch = require('heaprs/memwatch')
import heapdump = require('heaprs/heapdump')
memwatch.on('leak', (info) => {
  const start: Date = info.start
  console.log(start, info.growth, info.reason, info.report.suspects[0]?.className)
})
memwatch.on('stats', (stats) => console.log(stats.usage_trend + stats.num_full_gc))
// @ts-expect-error memwatch has no such event
memwatch.on('gc', () => {})
memwatch.gc()
const diff = new memwatch.HeapDiff().end()
console.log(diff.change.details[0]?.['+'], diff.before.nodes, diff.after.time.getTime())
const written: boolean = heapdump.writeSnapshot('a.heapsnapshot', (error, filename) => console.log(error?.message, filename?.length))
heapdump.writeSnapshot((error) => console.log(written, error))
// @ts-expect-error a name is text
heapdump.writeSnapshot(5)
