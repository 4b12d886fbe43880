// index.d.ts as an ECMAScript module sees it. Checked by `npm run lint` (tsc), never run.

import heaprs, { analyze, captureHeapSnapshot, openSnapshot, releaseObjectIds, forkSupport } from 'heaprs'
import type { CaptureResult, ClassRow, HeaprsError, HeaprsErrorCode, NodeRow, Snapshot } from 'heaprs'

const capture: CaptureResult = await captureHeapSnapshot({
  directory: 'dumps',
  mode: 'inline',
  compress: true,
  timeoutMs: 1000,
  signal: AbortSignal.timeout(1000),
  onProgress: ({ phase, done, total }) => {
    const known: 'heap' | 'write' = phase
    console.log(known, done / total)
  }
})
// @ts-expect-error there is no such mode
await captureHeapSnapshot({ mode: 'clone' })
releaseObjectIds()
const { supported, reason }: { supported: boolean; reason?: string } = forkSupport()

const snapshot: Snapshot = await openSnapshot(capture.file, { maxMemory: 1e9 })
const { total, v8heap, native } = snapshot.statistics()
const row: NodeRow | null = snapshot.node(snapshot.root)
// @ts-expect-error a node may be missing
row.id
const classes: ClassRow[] = await snapshot.summary({ search: 'Session', offset: 0, limit: 10 })
const objects: NodeRow[] = await snapshot.instances(classes[0]!.key, { limit: 1 })
const id = objects[0]!.id
for (const edge of [...(await snapshot.references(id)), ...(await snapshot.retainers(id, { limit: 5 }))]) {
  console.log(edge.type, edge.name, edge.node.retainedSize)
}
for (const path of await snapshot.retainingPaths(id, { limit: 1 })) console.log(path.length)
console.log((await snapshot.dominated(id))[0]?.className, total, v8heap.jsArrays, native.typedArrays, supported, reason)
const { dominator, classNames }: { dominator: Uint32Array; classNames: string[] } = await snapshot.columns()
console.log(dominator.length, classNames[0])
const realms = await snapshot.nativeContexts()
for (const filter of ['retainedByContexts', { nativeContext: realms.nativeContexts[0]!.id }, { allocatedAfter: snapshot }, { minId: 1 }] as const) {
  console.log(realms.sharedSize, (await snapshot.summary({ filter })).length)
}
// @ts-expect-error there is no such filter
await snapshot.summary({ filter: 'retainedByNobody' })
const stack = await snapshot.allocationStack(id)
const { functions, root } = await snapshot.allocationSites({ limit: 10 })
console.log(stack?.[0]?.line, functions[0]?.liveSize, root?.children[0]?.totalLiveSize, (await snapshot.timeline())[0]?.timestamp)
// @ts-expect-error snapshots come from openSnapshot
new (await import('heaprs')).Snapshot()
snapshot.close()

const report = await heaprs.analyze(capture.file, { limit: 5 })
console.log(report.toText({ color: false, width: 100 }), JSON.stringify(report))

try {
  await analyze('missing')
} catch (error) {
  const { code, file, offset } = error as HeaprsError
  const known: HeaprsErrorCode = code
  // @ts-expect-error codes are a closed list
  const unknown: HeaprsErrorCode = 'ERR_HEAPRS_WHATEVER'
  console.log(known, unknown, file, offset)
}

// The sub-paths, with the peers' own types.
import { register } from 'heaprs/prometheus'
import { instrument } from 'heaprs/otel'
import heapdump from 'heaprs/heapdump'
import memwatch from 'heaprs/memwatch'
import { metrics } from '@opentelemetry/api'
import { Registry } from 'prom-client'

const registry = new Registry()
const registration = register(registry, { prefix: 'app_', detector: { sensitivity: 'low' } })
console.log(registration.detector.running)
registration.dispose()
// @ts-expect-error there is no such option
register(registry, { prefixes: 'a' })
instrument({ meter: metrics.getMeter('app'), detector: registration.detector }).dispose()
heapdump.writeSnapshot()
memwatch.gc()
