// The port to time: the machine's clocks, or your own.
#pragma once

#include "base/clock.h"  // IWYU pragma: export
#include "base/loops.h"  // IWYU pragma: export
