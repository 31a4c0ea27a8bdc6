// The `file:` backend for the contract suite. Tests only.
#pragma once

#include <memory>

// Included by spool/contract_backends.h, behind the types it needs: include that one.

namespace mansio::spool {

std::unique_ptr<BackendFactory> make_contract_file_backend(const ContractOptions& options);

inline std::unique_ptr<BackendFactory> make_file_backend(const ContractOptions& options) {
  return make_contract_file_backend(options);
}

}  // namespace mansio::spool
