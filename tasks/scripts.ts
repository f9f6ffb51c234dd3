// Our own scripts, started as a person types them: for what proves that they work together.
import { type Cluster, resolveCluster } from './core/cluster.ts'
import type { Settings } from './core/config.ts'
import { projectFolder, startOf } from './core/environment.ts'
import { OperationError } from './core/errors.ts'
import { type Result, work } from './core/shell.ts'

/** The scripts, as a person types them for this cluster. */
export class Scripts {
  readonly #name: string
  readonly #settings: Settings

  constructor(name: string, settings: Settings) {
    this.#name = name
    this.#settings = settings
  }

  cluster(): Promise<Cluster> {
    return resolveCluster(this.#settings)
  }

  /** To its end, however it ends. */
  end(script: string, ...flags: string[]): Promise<Result> {
    return runVerb(script, this.#name, this.#settings, flags)
  }

  /** @returns what it printed @throws OperationError when it fails */
  async passes(script: string, ...flags: string[]): Promise<string> {
    const { stdout, stderr, exitCode } = await this.end(script, ...flags)
    if (exitCode !== 0)
      throw new OperationError(`${script} ended with exit code ${exitCode}.`, { output: `${stdout}${stderr}` })
    return stdout
  }
}

function runVerb(script: string, cluster: string, { configFile, asked }: Settings, flags: string[]): Promise<Result> {
  const words = [
    '--cluster',
    cluster,
    ...(configFile ? ['--config', configFile] : []),
    ...(asked.masters ? ['--masters', String(asked.masters)] : []),
    ...flags,
  ]
  const [program, ...start] = startOf(script)
  return work(program, [...start, ...words], { cwd: projectFolder })
}
