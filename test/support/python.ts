// The role's own Python, modules and filters, run as Ansible runs it, but without Ansible: they find each other, and
// nothing else of it.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { projectFolder } from '../../tasks/core/environment.ts'

const role = join(projectFolder, 'templates/ansible/roles/etcd')

const prelude = `
import sys, types
sys.dont_write_bytecode = True
sys.path[:0] = ${JSON.stringify(['library', 'filter_plugins'].map((name) => join(role, name)))}
for name in ("ansible", "ansible.module_utils", "ansible.module_utils.basic"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = []
sys.modules["ansible.module_utils"].__path__ = [${JSON.stringify(join(role, 'module_utils'))}]
sys.modules["ansible.module_utils.basic"].AnsibleModule = None
`

/** What `python3` is in the end: a script that looks for it takes a tenth of a second more at each start. */
export const interpreter = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], {
  encoding: 'utf8',
}).trim()

/**
 * Runs the program, which imports the role's modules as they do one another, and nothing that is installed beside
 * Python. @returns what it printed
 */
export const python = (program: string, ...args: string[]): string => pythonIn(process.env, program, ...args)

/** The same with these variables. */
export const pythonIn = (env: NodeJS.ProcessEnv, program: string, ...args: string[]): string =>
  execFileSync(interpreter, ['-IS', '-c', prelude + program, ...args], {
    encoding: 'utf8',
    timeout: 120_000,
    env,
  }).trim()
