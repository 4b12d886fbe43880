// Peers of the analysis benchmark that are no JavaScript: the crate v8-heap-parser, built into target/, and dinfuehr's heap-snapshot, whose
// program comes from npm. Its program for Linux wants glibc 2.39: HEAPRS_BENCH_HEAP_SNAPSHOT names another one, built from its source.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from '../scripts/ensure.mjs';

const directory = join(root, 'target', 'bench-peers', 'binaries');

/** A peer's command for a file, or why it can't be had. */
export const binaries = {
  'v8-heap-parser': { version: '1.1.0', command: v8HeapParser },
  'heap-snapshot': { version: '0.0.10', command: heapSnapshot }
};

function v8HeapParser() {
  const crate = join(directory, 'v8-heap-parser');
  const program = join(crate, 'target', 'release', 'bench-v8-heap-parser');
  if (!existsSync(program)) {
    mkdirSync(join(crate, 'src'), { recursive: true });
    writeFileSync(join(crate, 'Cargo.toml'),
      '[package]\nname = "bench-v8-heap-parser"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\nv8-heap-parser = "=1.1.0"\n[workspace]\n');
    writeFileSync(join(crate, 'src', 'main.rs'), `fn main() {
      let file = std::fs::File::open(std::env::args().nth(1).unwrap()).unwrap();
      let graph = v8_heap_parser::decode_reader(std::io::BufReader::new(file)).unwrap();
      println!("{}", graph.get_class_groups(false).len());
    }\n`);
    if (run('cargo', ['build', '--release', '--quiet'], { cwd: crate, stdio: ['ignore', 2, 2] }) !== 0) throw new Error('v8-heap-parser could not be built');
  }
  return (file) => [program, file];
}

function heapSnapshot() {
  let program = process.env.HEAPRS_BENCH_HEAP_SNAPSHOT;
  if (!program) {
    const tool = join(directory, 'heap-snapshot');
    program = join(tool, `node_modules/@heap-snapshot/${process.platform}-${process.arch}/heap-snapshot`);
    if (!existsSync(program)) {
      mkdirSync(tool, { recursive: true });
      writeFileSync(join(tool, 'package.json'), '{"private":true}');
      run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', '@heap-snapshot/tool@0.0.10'], { cwd: tool, stdio: ['ignore', 2, 2] });
    }
  }
  const { status, stderr, error } = spawnSync(program, ['--help'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`it does not run here (HEAPRS_BENCH_HEAP_SNAPSHOT=FILE names another program): ${error?.code ?? stderr.trim().split('\n')[0]}`);
  return (file) => [program, 'summary', file];
}

/** Runs a command to its end: wall time, and the most memory that was resident, as the kernel counts it for the process. */
export function time([program, ...args], limit = 600_000) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let peak = 0;
    let errors = '';
    child.stderr.on('data', (data) => { errors += data; });
    const look = setInterval(() => {
      try { peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) / 1024); } catch { /* it is gone */ }
    }, 10);
    const timer = setTimeout(() => child.kill('SIGKILL'), limit);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearInterval(look);
      clearTimeout(timer);
      if (signal === 'SIGKILL') reject(new Error(`not finished after ${limit / 1000} s`));
      else if (code !== 0) reject(new Error(errors.trim().split('\n').at(-1)));
      else resolve({ ms: performance.now() - start, peak });
    });
  });
}
