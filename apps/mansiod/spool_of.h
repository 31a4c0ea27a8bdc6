// The spool that [spool] names.
#pragma once

#include <memory>

#include "base/clock.h"
#include "settings/settings.h"
#include "spool/spool.h"

namespace mansio::daemon {

/// Throws spool::OpenError. `clock` must outlive the spool.
std::unique_ptr<spool::Spool> open_spool(const settings::Settings& settings, Clock& clock);

}  // namespace mansio::daemon
