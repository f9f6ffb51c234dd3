// The role's own Python, run as Ansible runs it, but without Ansible: its modules find each other, and nothing else of
// it.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { projectFolder } from '../../tasks/core/environment.ts'

const role = join(projectFolder, 'templates/ansible/roles/etcd')

const prelude = `
import sys, types
sys.dont_write_bytecode = True
sys.path.insert(0, ${JSON.stringify(join(role, 'library'))})
for name in ("ansible", "ansible.module_utils", "ansible.module_utils.basic"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = []
sys.modules["ansible.module_utils"].__path__ = [${JSON.stringify(join(role, 'module_utils'))}]
sys.modules["ansible.module_utils.basic"].AnsibleModule = None
`

/** Runs the program, which imports the role's modules as they do one another. @returns what it printed */
export const python = (program: string, ...args: string[]): string => pythonIn(process.env, program, ...args)

/** The same with these variables. */
export const pythonIn = (env: NodeJS.ProcessEnv, program: string, ...args: string[]): string =>
  execFileSync('python3', ['-c', prelude + program, ...args], { encoding: 'utf8', timeout: 120_000, env }).trim()
