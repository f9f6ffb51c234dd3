// The drill's report: one page of HTML that needs nothing else, for light and dark screens and for paper. Pure.
import { scaleLinear, scaleLog } from 'd3-scale'
import { line } from 'd3-shape'
import type { LoadReport } from '../etcd/history.ts'
import type { Result, Slice } from './results.ts'

export interface DrillReport {
  cluster: string
  version: string
  members: number
  /** Epoch milliseconds. */
  started: number
  ended: number
  results: Result[]
  /** Which promises did not hold, a clause each. */
  broken: string[]
  leftOut: [name: string, why: string][]
  load: LoadReport
  latency: Slice[]
}

export function html(report: DrillReport): string {
  const { cluster, version, members, started, broken } = report
  const held = broken.length === 0
  const verdict = held
    ? `${cluster} held: ${report.load.acknowledged} writes were acknowledged, and none was lost.`
    : `${cluster} did not hold: ${broken.join('; ')}.`
  const when = new Date(started).toISOString().slice(0, 16).replace('T', ' ')
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fire drill of ${escaped(cluster)}</title>
<style>${style}</style>
</head>
<body>
<h1 class="${held ? 'held' : 'broken'}">${escaped(verdict)}</h1>
<p>A fire drill of ${members} members with etcd ${escaped(version)}, ${when} UTC. While clients wrote and read, each of
these faults was made, left alone for three seconds, and healed by the verb that heals it in real life. A cluster is
whole again once verify finds nothing wrong.</p>
${chart(report, 'wide', 960, 320)}
${chart(report, 'narrow', 360, 260)}
<p class="key"><span class="median">━</span> median <span class="worst">━</span> slowest acknowledged write in half a
second <span class="band">■</span> a fault, until the cluster was whole again. A gap: no write was acknowledged.</p>
${table(report)}
<h2>What was measured</h2>
<ul>
<li>${report.load.acknowledged} writes acknowledged (${report.load.writesPerSecond} a second), read back at the end:
${report.load.missing} missing.</li>
<li>${report.load.reads} linearizable reads: ${report.load.backwards} went back in time.</li>
<li>A write that fails is tried once more through a member that says it is healthy. Failed means: failed twice.</li>
<li>The longest stall is the longest time without any acknowledged write.</li>
</ul>
${leftOut(report)}
</body>
</html>
`
}

function table({ results }: DrillReport): string {
  const head = ['no.', 'fault', 'what was done', 'healed by', 'whole again after', 'longest stall', 'failed', 'lost']
  const rows = results.map((result, index) => {
    const { name, did, healedBy, tookMs, stallMs, failed, lost, outage } = result
    const refused = outage && failed > 0 ? `${failed} (no quorum)` : String(failed)
    const cells = [String(index + 1), name, did, healedBy, seconds(tookMs), seconds(stallMs), refused, String(lost)]
    const wrong = [failed > 0 && !outage ? 6 : -1, lost > 0 ? 7 : -1]
    const marked = (at: number): string => (wrong.includes(at) ? ' class="broken"' : '')
    const told = cells.map((cell, at) => `<td data-label="${head[at]}"${marked(at)}>${escaped(cell)}</td>`)
    return `<tr>${told.join('')}</tr>`
  })
  const titles = head.map((title) => `<th scope="col">${title}</th>`).join('')
  return `<table><thead><tr>${titles}</tr></thead><tbody>\n${rows.join('\n')}\n</tbody></table>`
}

const leftOut = ({ leftOut: all }: DrillReport): string =>
  all.length === 0
    ? ''
    : `<h2>What was left out</h2>\n<ul>\n${all
        .map(([name, why]) => `<li>${escaped(name)}: ${escaped(why)}</li>`)
        .join('\n')}\n</ul>`

const [left, right, top, bottom] = [56, 16, 32, 40]

/** A screen shows the one that fits it. */
function chart({ latency, results, ...report }: DrillReport, which: string, width: number, height: number): string {
  const started = latency[0]?.at ?? report.started
  const last = (latency.at(-1)?.at ?? started) + 500
  const x = scaleLinear([0, (last - started) / 1000], [left, width - right])
  const worst = Math.max(10, ...latency.map((slice) => slice.worst ?? 0))
  const y = scaleLog([1, worst], [height - bottom, top]).nice()
  const at = (moment: number): number => x((moment - started) / 1000)
  const bands = results.map(({ struck, healed, name }, index) => {
    const [from, to] = [at(struck), at(healed)]
    const label = `<text x="${round((from + to) / 2)}" y="${top - 8}" class="number">${index + 1}</text>`
    const box = `x="${round(from)}" y="${top}" width="${round(to - from)}" height="${height - top - bottom}"`
    return `<rect ${box} class="band"><title>${index + 1}: ${escaped(name)}</title></rect>${label}`
  })
  const lines = y.ticks(4).filter((tick) => Number.isInteger(Math.log10(tick)))
  const horizontal = lines.map((tick) => {
    const [height, title] = [round(y(tick)), tick < 1000 ? `${tick} ms` : `${tick / 1000} s`]
    const rule = `<line x1="${left}" x2="${width - right}" y1="${height}" y2="${height}" class="grid"/>`
    return `${rule}<text x="${left - 8}" y="${height + 4}" class="left">${title}</text>`
  })
  const vertical = x
    .ticks(width / 110)
    .map((tick) => `<text x="${round(x(tick))}" y="${height - bottom + 20}" class="number">${tick} s</text>`)
  const path = (value: (slice: Slice) => number | undefined): string =>
    line<Slice>()
      .defined((slice) => value(slice) !== undefined)
      .x((slice) => round(at(slice.at + 250)))
      .y((slice) => round(y(Math.max(1, value(slice) ?? 1))))(latency) ?? ''
  return `<svg class="${which}" viewBox="0 0 ${width} ${height}" role="img"
  aria-label="How long writes took, over time">
${bands.join('\n')}
${horizontal.join('\n')}
${vertical.join('\n')}
<path d="${path(({ worst: ms }) => ms)}" class="worst"/>
<path d="${path(({ median }) => median)}" class="median"/>
</svg>`
}

const round = (value: number): number => Math.round(value * 10) / 10
const seconds = (ms: number): string => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`)

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escaped = (text: string): string => text.replace(/[&<>"]/g, (sign) => entities[sign] ?? sign)

const style = `
:root { color-scheme: light dark; --text: #1c1c1c; --faint: #6b6b6b; --line: #d8d8d8; --page: #ffffff; --good: #14632f;
  --bad: #a31515; --band: #f4dcae; --median: #1f5fa8; --worst: #b8741a; }
@media (prefers-color-scheme: dark) { :root { --text: #e8e8e8; --faint: #a0a0a0; --line: #3a3a3a; --page: #161616;
  --good: #6fce8f; --bad: #ff8a80; --band: #4a3a18; --median: #7fb2f0; --worst: #e0a458; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; line-height: 1.3; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
.held { color: var(--good); }
.broken { color: var(--bad); }
svg.narrow { display: none; }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; fill: var(--faint); }
svg .number { text-anchor: middle; }
svg .left { text-anchor: end; }
svg .grid { stroke: var(--line); }
svg path { fill: none; stroke-width: 1.5; stroke-linecap: round; }
rect.band { fill: var(--band); }
path.median { stroke: var(--median); }
path.worst { stroke: var(--worst); }
span.median { color: var(--median); }
span.worst { color: var(--worst); }
span.band { color: var(--band); }
.key { color: var(--faint); font-size: 0.875rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 0.875rem; }
th, td { text-align: left; vertical-align: top; padding: 0.4rem 0.5rem; border-bottom: 1px solid var(--line); }
td:nth-child(2) { min-width: 8rem; }
td.broken { font-weight: 600; }
@media screen and (max-width: 40rem) {
  svg.narrow { display: block; }
  svg.wide { display: none; }
  thead { display: none; }
  tr { display: block; border-bottom: 1px solid var(--line); padding: 0.5rem 0; }
  td { display: flex; border: 0; padding: 0.1rem 0; }
  td:nth-child(2) { font-weight: 600; }
  td::before { font-weight: 400; content: attr(data-label); flex: 0 0 9rem; color: var(--faint); }
}
@media print {
  :root { color-scheme: light; --text: #000000; --page: #ffffff; --faint: #444444; --line: #bbbbbb; --good: #14632f;
    --bad: #a31515; --band: #f4dcae; --median: #1f5fa8; --worst: #b8741a; }
  body { margin: 0; max-width: none; }
  tr, svg { break-inside: avoid; }
}
`
