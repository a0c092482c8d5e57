// SPDX-License-Identifier: Apache-2.0
// The whole of Boost.Asio and Boost.Beast, compiled once (netcow_asio defines what makes every
// other file only declare them): each file that held them would take half a minute to build.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
