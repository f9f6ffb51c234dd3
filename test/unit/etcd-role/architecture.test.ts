// Hosts of another architecture than the programs here: up gets what they need by itself, and only then.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { PlayFailure } from '../../../tasks/etcd/play-events.ts'
import { temporaryFolder } from '../../support/folder.ts'

const home = temporaryFolder()
process.env.HA_ETCD_HOME = home
const { defaults } = await import('../../../tasks/core/config.ts')
const { architectureHere, unameOf } = await import('../../../tasks/core/machines.ts')
const { run } = await import('../../../tasks/core/run.ts')
const { tasks } = await import('../../../tasks/etcd-role/index.ts')
const { machineOf, toolName } = await import('../../../tasks/etcd/ways.ts')
const { ensureCertificates } = await import('../../../tasks/pki/index.ts')
const { runPipeline } = await import('../../../tasks/core/pipeline.ts')
const { testCluster } = await import('../../support/cluster.ts')

const version = defaults.etcd.version ?? ''
const other = architectureHere() === 'arm64' ? 'amd64' : 'arm64'
const script = '#!/bin/sh\n'
const programs = ['etcd', 'etcdctl', 'etcdutl']

/** Programs for this machine are there, and a Go that builds them for any other. The role ends with this event. */
function standIns(event: PlayFailure): string {
  const folder = temporaryFolder()
  const here = join(home, '.tools', `${toolName('go', machineOf('ssh'))}-${version}`)
  mkdirSync(here, { recursive: true })
  for (const name of programs) writeFileSync(join(here, name), script, { mode: 0o755 })
  writeFileSync(
    join(folder, 'go'),
    `#!/bin/sh
echo "$GOARCH $*" >>${folder}/go.log
case "$1" in
version) echo go version go1.26.8 linux/amd64 ;;
build) for name in server etcdctl etcdutl; do printf '#!/bin/sh\\n' >"$6$name"; chmod +x "$6$name"; done ;;
esac
`,
    { mode: 0o755 },
  )
  const ended = `echo '{"event": "ended", "changed": {"master01": 1}}' >&3`
  const found = [
    { check: 'architecture', ok: false, warning: false, detail: 'x', remedy: 'y', machine: unameOf(other) },
  ]
  writeFileSync(
    join(folder, 'ansible-playbook'),
    `#!/bin/sh
case "$*" in
--version) echo 'core 2.14.18' ;;
*doctor.yml) echo '${JSON.stringify({ event: 'said', host: 'master01', said: found })}' >&3; ${ended} ;;
*)
  echo etcd >>${folder}/plays.log
  if grep -q '${unameOf(other)}: ' "$2"; then ${ended}; exit 0; fi
  echo '${JSON.stringify(event)}' >&3
  exit 2 ;;
esac
`,
    { mode: 0o755 },
  )
  process.env.PATH = `${folder}:${process.env.PATH}`
  return folder
}

async function role(): Promise<void> {
  const cluster = testCluster({ masters: 1, provider: 'ssh', etcd: { version, source: 'go' } })
  const hosts = cluster.hosts.map((host) => ({ ...host, connection: { ansible_connection: 'local' } }))
  await ensureCertificates({ ...cluster, hosts })
  mkdirSync(join(cluster.paths.state, 'lock'), { recursive: true }) // as a script that has the lock
  run().json = true
  await runPipeline(tasks({ ...cluster, hosts }))
}

test('a play that fails in the middle is not begun again', async () => {
  const folder = standIns({ event: 'failed', host: 'master01', told: { msg: 'refused.' } })
  const failed = await role().catch((error: Error) => error.message)
  assert.match(failed ?? '', 'refused')
  assert.is(readFileSync(join(folder, 'plays.log'), 'utf8'), 'etcd\n')
})

test('the role refuses the hosts, their programs are got, and the role runs again', async () => {
  const finding = { code: 'architecture', host: 'master01', detail: 'refused.', remedy: '' }
  const folder = standIns({ event: 'refused', findings: [finding] })
  await role()
  assert.is(readFileSync(join(folder, 'plays.log'), 'utf8'), 'etcd\netcd\n')
  assert.match(readFileSync(join(folder, 'go.log'), 'utf8'), `${other} build`)
  assert.match(run().changes.join('\n'), `${other}: etcd ${version}`)
})

test.run()
