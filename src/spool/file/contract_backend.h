// The `file:` backend for the contract suite. Tests only.
#pragma once

#include <memory>

#include "spool/contract_backends.h"

namespace mansio::spool {

std::unique_ptr<BackendFactory> make_contract_file_backend(const ContractOptions& options);

inline std::unique_ptr<BackendFactory> make_file_backend(const ContractOptions& options) {
  return make_contract_file_backend(options);
}

}  // namespace mansio::spool
