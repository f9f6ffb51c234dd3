import { phaseVerb } from '../phases.ts'

export const verb = phaseVerb('doctor')
