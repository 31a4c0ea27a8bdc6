// The engine in a program of your own: mansio::Queue over a spool, with your targets and your loops.
// examples/embed/embed.cc is a complete program. Link libmansio-engine.
#pragma once

#include "queue/queue.h"  // IWYU pragma: export
