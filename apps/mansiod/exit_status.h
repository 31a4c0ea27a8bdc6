// How the daemon ends (sysexits.h numbers; docs/manual has the list for operators).
#pragma once

namespace mansio::daemon {

constexpr int exit_ok = 0;
constexpr int exit_address_in_use = 69;
constexpr int exit_spool_locked = 73;
constexpr int exit_spool_io = 74;
constexpr int exit_spool_damaged = 76;
constexpr int exit_configuration = 78;
constexpr int exit_software = 70;

}  // namespace mansio::daemon
