// The port by which a site replaces the notices that the engine sends: implement
// mansio::dsn::BounceBuilder. See dsn/bounce_builder.h for the contract.
#pragma once

#include "dsn/bounce_builder.h"

namespace mansio {
using dsn::BounceBuilder;
}  // namespace mansio
