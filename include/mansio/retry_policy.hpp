// When a deferred recipient is tried again.
#pragma once

#include "schedule/retry_schedule.h"  // IWYU pragma: export
