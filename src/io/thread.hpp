// SPDX-License-Identifier: Apache-2.0
//
// What a thread may ask of the scheduler; all of it best effort, for an ordinary user has few
// rights.
#pragma once

namespace godwit::io {

/// The calling thread's name in debuggers and `top`; at most 15 characters count.
void name_thread(const char* name);

/// Asks for real-time scheduling of the calling thread, else a better nice value, else nothing:
/// audio runs then as everything else does. Threads and processes started from it do not inherit
/// it.
void prefer_real_time();

}  // namespace godwit::io
