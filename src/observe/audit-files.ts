import * as fs from 'node:fs'

/** The calls an audit file makes, so that a test can be a disk that is full. */
export type FileSystem = Pick<
  typeof fs,
  'openSync' | 'closeSync' | 'readSync' | 'writeSync' | 'statSync' | 'fstatSync' | 'ftruncateSync'
>

export const nodeFiles: FileSystem = fs
