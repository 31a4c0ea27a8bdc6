// How much memory a message takes while it is held: an estimate for budgets. Pure.
#pragma once

#include <cstddef>

#include "message/message.h"

namespace mansio {

/// With its recipients, and its content where that is in memory; without what happened to them.
std::size_t footprint(const Message& message);
/// Of what happened to a recipient.
std::size_t footprint(const RecipientStatus& status);

}  // namespace mansio
