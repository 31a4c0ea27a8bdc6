// The API's description (OpenAPI 3.1), made from the table of routes. Pure.
#pragma once

#include "admin/json.h"

namespace mansio::admin {

Json openapi_document(const std::string& version);

/// The schemas of the responses by name; the tests compare them with what the server sends.
Json response_schemas();

}  // namespace mansio::admin
