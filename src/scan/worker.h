/* worker.h - the caged process itself: its messages, and running it with a list of engines.
 *
 * Gate to worker, frame by frame:
 *   start {mode: "compile"|"scan", memory, mapped, cpu, write, without_landlock, time, unpacked,
 *          members, depth, ratio, engines[]?, names[]?, strict} + one descriptor (bundle; compiled
 *          rules), in mode compile a second one that takes the compiled rules
 *   scan  {name} + the file
 * Worker to gate: {op: "compiled", files[]}, {op: "ready", landlock, denied[], engines[]},
 * the answers of run.h, or an error of ipc.h. */
#pragma once
#include "scan/engine.h"

#define WORKER_SOCKET 3

/* Serves descriptor WORKER_SOCKET until it closes; returns the exit status. Tests add engines. */
int scan_worker_run(const struct engine *const *engines, size_t n);
