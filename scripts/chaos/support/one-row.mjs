// Runs one row, named by file and place, and tells the process that started it how it went.
const [file, index] = process.argv.slice(2)
const { rows } = await import(new URL(`../${file}`, import.meta.url))

let result
try {
  const { ok, measured } = await rows[index].run()
  result = { ok: ok === true, measured: String(measured) }
} catch (error) {
  result = { ok: false, measured: error instanceof Error ? error.message : String(error) }
  console.error(error)
}
process.send(result, () => process.exit())
