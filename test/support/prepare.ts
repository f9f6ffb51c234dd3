// Gets what the tests need, the way a person would: doctor for the product's programs, apt for the tests' own.
import { aptInstall, findProgram, hasApt, isRoot } from '../../tasks/core/programs.ts'
import { testHome } from './verbs.ts'

/** Programs that only the tests use, and the Debian packages they come in. */
const programs = { openssl: 'openssl', ps: 'procps', ssh: 'openssh-client' }

/** @throws Error naming what is missing and cannot be got here */
export async function prepare(): Promise<void> {
  const missing = Object.entries(programs).filter(([program]) => !findProgram(program))
  if (missing.length > 0 && !(isRoot() && hasApt()))
    throw new Error(`The tests need ${missing.map(([program]) => program).join(' and ')}.`)
  if (missing.length > 0)
    await aptInstall(
      missing.map(([, name]) => name),
      () => {},
    )
  const { exitCode, stdout, stderr } = await testHome().verb('doctor', '--yes')
  if (exitCode !== 0) throw new Error(`doctor could not get what the tests need.\n${stdout}${stderr}`)
}
