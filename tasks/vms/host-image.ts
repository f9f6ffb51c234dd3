// The image of Docker's hosts: Debian with systemd, made by templates/vagrant/docker/prepare.sh and named by its
// content.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Check } from '../core/check.ts'
import type { Cluster } from '../core/cluster.ts'
import { projectFolder } from '../core/environment.ts'
import { OperationError } from '../core/errors.ts'
import { aptInstall, findProgram, hasApt, isRoot } from '../core/programs.ts'
import { canUse } from '../core/provider-choice.ts'
import { ask, work } from '../core/shell.ts'

const folder = join(projectFolder, 'templates/vagrant/docker')
const release = 'bookworm'

/** The image that a person asked for, else ours: its tag changes with what is in it. */
export const hostImage = (cluster: Cluster): string => {
  if (cluster.vagrant?.box)
    return `${cluster.vagrant.box}${cluster.vagrant.boxVersion ? `:${cluster.vagrant.boxVersion}` : ''}`
  const sources = ['Dockerfile', 'prepare.sh'].map((name) => readFileSync(join(folder, name)))
  return `ha-etcd-host:${createHash('sha256').update(Buffer.concat(sources)).digest('hex').slice(0, 12)}`
}

export function imageCheck(cluster: Cluster): Check {
  const image = hostImage(cluster)
  const own = cluster.vagrant?.box !== undefined
  let dockerAnswers = true
  return {
    title: "Check the hosts' image",
    look: async () => {
      dockerAnswers = await canUse('docker')
      return dockerAnswers &&
        (await ask('docker', ['image', 'inspect', '--format', '{{.Id}}', image], { timeout: 20_000 })).exitCode === 0
        ? image
        : { detail: `Docker has no image ${image}.`, remedy: 'Run the same command again: it gets the image.' }
    },
    mend: {
      impossible: () =>
        dockerAnswers ? undefined : 'Start Docker, then run the same command again: it gets the image.',
      ...(!own &&
        needsMmdebstrap() && {
          question:
            'Docker needs an image for the hosts. Build it, and install mmdebstrap with apt-get should ' +
            "Docker's registry be out of reach?",
        }),
      run: async (report) => (own ? pull(image) : build(cluster, image, report)),
    },
  }
}

const needsMmdebstrap = (): boolean => isRoot() && hasApt() && !findProgram('mmdebstrap')

async function pull(image: string): Promise<string> {
  const { exitCode, stderr } = await ask('docker', ['pull', image], { timeout: 600_000 })
  if (exitCode !== 0)
    throw new OperationError(`Docker could not get the image ${image} (vagrant.box).`, { output: stderr })
  return `${image} pulled`
}

/** From the registry's Debian where that can be had, else from Debian's own packages. */
async function build(cluster: Cluster, image: string, report: (line: string) => void): Promise<string> {
  report('docker build')
  const built = await work('docker', ['build', '--tag', image, folder], { state: cluster.paths.state, onLine: report })
  if (built.exitCode === 0) return `${image} built from debian:12-slim`
  if (!isRoot() || !(hasApt() || findProgram('mmdebstrap')))
    throw new OperationError(`The hosts' image could not be built.`, {
      output: built.stderr,
      hint: `Let Docker pull debian:12-slim. Or run this as root on Debian: then Debian's packages are used.`,
    })
  if (needsMmdebstrap()) await aptInstall(['mmdebstrap'], report)
  report('mmdebstrap')
  const bootstrap = [
    'mmdebstrap --quiet --variant=minbase',
    `--customize-hook='copy-in prepare.sh /tmp' --customize-hook='chroot "$1" sh /tmp/prepare.sh' ` +
      `--customize-hook='rm "$1/tmp/prepare.sh"'`,
    `${release} - "$@"`,
  ].join(' ')
  const script = `set -o pipefail; ${bootstrap} | docker import --change 'CMD ["/usr/local/sbin/boot"]' - ${image}`
  const { exitCode, stderr } = await work('bash', ['-c', script, 'bash', ...(await mirrors())], {
    cwd: folder,
    state: cluster.paths.state,
    onLine: report,
  })
  if (exitCode !== 0)
    throw new OperationError(`The hosts' image could not be built from Debian's packages either.`, {
      output: stderr || built.stderr,
    })
  return `${image} built from Debian's packages, since Docker could not get debian:12-slim`
}

/** This machine's own sources where it runs the same Debian; none: mmdebstrap knows Debian's own. */
export async function mirrors(): Promise<string[]> {
  const { stdout } = await ask('apt-get', [
    'indextargets',
    '--format',
    'deb $(REPO_URI) $(RELEASE) $(COMPONENT)',
    'Created-By: Packages',
    'Origin: Debian',
  ])
  const lines = [...new Set(stdout.split('\n'))].filter((line) => line.split(' ')[2]?.startsWith(release))
  return lines.some((line) => line.includes(` ${release} `)) ? lines : []
}
