// Expected failure as a return value. Exceptions are for constructors and start-up only.
#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

namespace mansio {

using ErrorCode = boost::system::error_code;

/// A value or an error code. `Result<void>` for operations without a value.
template <class T>
using Result = boost::system::result<T, ErrorCode>;

}  // namespace mansio
