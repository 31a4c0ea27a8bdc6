// The port to the durable store, and the two stores that the engine brings.
#pragma once

#include "spool/file/file_spool.h"      // IWYU pragma: export
#include "spool/memory/memory_spool.h"  // IWYU pragma: export
#include "spool/spool.h"                // IWYU pragma: export
