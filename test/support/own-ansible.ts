// A test that imports this runs with the Ansible that doctor fetches where there is none, whatever PATH has: it is
// newer than the distribution's, with which the role's own tests run.
import { delimiter } from 'node:path'
import { fetchedFolders } from '../../tasks/core/programs.ts'

process.env.PATH = [...fetchedFolders('ansible'), process.env.PATH].join(delimiter)
