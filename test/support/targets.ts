// Targets of rclone for tests: an S3 server that checks signatures (github.com/versity/versitygw, built by Go), and an
// SFTP server (rclone's own). Both end with the test.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { findProgram } from '../../tasks/core/programs.ts'
import { freePort } from '../../tasks/etcd/reach.ts'
import { temporaryFolder } from './folder.ts'
import { until } from './wait.ts'

const gateway = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0'

export interface Targets {
  /** rclone's configuration: `s3:`, `sftp:`, and the same with a wrong password, `s3bad:` and `sftpbad:`. */
  configuration: string
  /** Those that could be started here. */
  names: string[]
  stop: () => void
}

export async function startTargets(): Promise<Targets> {
  const folder = temporaryFolder()
  const started: ChildProcess[] = []
  const start = async (program: string, args: (port: number) => string[], name: string): Promise<number> => {
    const port = await freePort()
    mkdirSync(join(folder, name))
    started.push(spawn(program, args(port), { stdio: 'ignore', env: { ...process.env, RCLONE_CONFIG: '' } }))
    await until(`${name} answers`, () => answers(port))
    return port
  }
  const names: string[] = []
  const sections: string[] = []
  const s3 = s3Program()
  if (s3) {
    const port = await start(
      s3,
      (at) => ['--access', 'user', '--secret', 'right', '--port', `127.0.0.1:${at}`, 'posix', join(folder, 's3')],
      's3',
    )
    const section = (name: string, secret: string): string =>
      `[${name}]\ntype = s3\nprovider = Other\naccess_key_id = user\nsecret_access_key = ${secret}\n` +
      `endpoint = http://127.0.0.1:${port}\n`
    sections.push(section('s3', 'right'), section('s3bad', 'wrong'))
    names.push('s3')
  } else console.log('Go cannot build an S3 server here: that target is not tested')
  const rclone = findProgram('rclone', 'rclone')
  if (rclone) {
    const port = await start(
      rclone,
      (at) => ['serve', 'sftp', join(folder, 'sftp'), '--addr', `127.0.0.1:${at}`, '--user', 'user', '--pass', 'right'],
      'sftp',
    )
    const obscured = (password: string): string =>
      spawnSync(rclone, ['obscure', password], { encoding: 'utf8' }).stdout.trim()
    const section = (name: string, password: string): string =>
      `[${name}]\ntype = sftp\nhost = 127.0.0.1\nport = ${port}\nuser = user\npass = ${obscured(password)}\n`
    sections.push(section('sftp', 'right'), section('sftpbad', 'wrong'))
    names.push('sftp')
  }
  const configuration = join(folder, 'rclone.conf')
  writeFileSync(configuration, sections.join('\n'))
  return { configuration, names, stop: () => void started.map((child) => child.kill()) }
}

function s3Program(): string | undefined {
  const go = findProgram('go')
  const folder = temporaryFolder()
  if (!go) return undefined
  const { status } = spawnSync(go, ['install', gateway], { env: { ...process.env, GOBIN: folder }, stdio: 'ignore' })
  return status === 0 ? join(folder, 'versitygw') : undefined
}

const answers = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      done(true)
    }).on('error', () => done(false))
  })
