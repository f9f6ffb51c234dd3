// The table of findings as a page, docs/findings.md: `npm run docs` writes it.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { defaultCluster } from '../../tasks/core/command.ts'
import { projectFolder } from '../../tasks/core/environment.ts'
import { type Code, type Finding, remedyOf, rows, sentenceOf } from '../../tasks/etcd/findings.ts'
import { testCluster } from './cluster.ts'

export const page = join(projectFolder, 'docs/findings.md')
export const codes = Object.keys(rows) as Code[]
export const cluster = testCluster({
  name: defaultCluster,
  formed: true,
  provider: 'ssh',
  etcd: { version: '3.6.14' },
  paths: { certs: `certs/${defaultCluster}` },
})
export const upgrading = { ...cluster, etcd: { ...cluster.etcd, upgradingTo: '3.7.1' } }

/** What the role says itself, of a HOST. */
export const said: Partial<Record<Code, string>> = {
  'quorum-lost': 'HOST are members of the cluster, but their data directories are empty, and the others are no quorum',
  'others-silent': 'HOST has no data, but others belonged to a formed cluster that does not answer now',
  'members-differ': 'the inventory and the live members differ',
  'data-lost': 'HOST is a member of the running cluster, but its data directory is empty',
  'all-data-lost': 'no host has any data left',
  'v2-data': 'HOST would not start on this etcd: there are keys in the v2 store',
  'no-snapshot': 'HOST would not start on this etcd: its log has entries of an older one, and no snapshot after them',
  ends: 'etcd does not stay up on HOST. The last it said: OUTPUT',
}

/** A finding of this code. Its facts are their own names in capitals. */
export function sample(code: Code): Finding {
  const facts: Record<string, unknown> = {
    code,
    hosts: [code === 'others-ill' || code === 'no-data' ? 'OTHER' : 'HOST'],
    remedy: said[code] && 'By hand: …',
    detail: said[code],
    lost: 'no-authority-key',
  }
  return new Proxy(facts, {
    get: (_, name) => (name in facts ? facts[String(name)] : String(name).toUpperCase()),
  }) as never
}

const row = (code: Code): string => {
  const remedy = remedyOf(code === 'move-begun' ? upgrading : cluster, sample(code))
  const cells = [`\`${code}\``, sentenceOf(sample(code)), remedy]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

export const text = `# What can be wrong, and what helps

Made from \`tasks/etcd/findings.ts\` by \`npm run docs\`. A verb names the first problem in this order. The verb that
cures a problem ignores all problems below. \`verify --json\` has the code of each fault. The role has a few more codes:
they come with words and a remedy of its own. Words in capitals stand for what was found, and the versions 3.6.14 and
3.7.1 are examples. While an upgrade or a downgrade is half done, \`up\` refuses: then the remedy of \`move-begun\`
starts members.

| code | what is seen | what helps |
|---|---|---|
${codes.map(row).join('\n')}
`

if (process.argv[1] === import.meta.filename) writeFileSync(page, text)
