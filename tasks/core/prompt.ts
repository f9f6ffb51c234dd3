// What a person types: answers, and passphrases, which come from a file, too, but never from the command line, which
// every user of a machine can read.
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { UsageError } from './errors.ts'
import { readGiven } from './files.ts'
import { run } from './run.ts'

/** The first line of the file, else what a person types. `twice`: it is a new one. @throws UsageError */
export async function passphrase(file: string | undefined, twice: boolean): Promise<string> {
  if (file !== undefined) return firstLine(file)
  if (!run().attended || run().json)
    throw new UsageError('There is nobody here to ask for a passphrase.', {
      hint: 'Name a file: --passphrase-file FILE',
    })
  const first = await askHidden('Passphrase: ')
  if (first === '') throw new UsageError('The passphrase is empty.')
  if (twice && (await askHidden('Again: ')) !== first) throw new UsageError('The two passphrases differ.')
  return first
}

function firstLine(file: string): string {
  const [line = ''] = readGiven(file).toString().split(/\r?\n/)
  if (line === '') throw new UsageError(`The first line of ${file} is empty: it is to be the passphrase.`)
  return line
}

/** What is typed is not shown. */
async function askHidden(question: string): Promise<string> {
  process.stderr.write(question)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  try {
    return await asked('', { output: nowhere, terminal: true })
  } finally {
    process.stderr.write('\n')
  }
}

/** What a person types at the terminal. @throws Interrupted where they end it instead */
export async function asked(
  question: string,
  how: { output: NodeJS.WritableStream; terminal?: boolean } = { output: process.stderr },
): Promise<string> {
  const prompt = createInterface({ input: process.stdin, ...how })
  try {
    return await prompt.question(question, { signal: run().signal })
  } catch (error) {
    if ((error as Error).name === 'AbortError') run().stop('SIGINT') // Ctrl-C at a prompt is no signal to the process
    run().throwIfStopped()
    throw error
  } finally {
    prompt.close()
  }
}
