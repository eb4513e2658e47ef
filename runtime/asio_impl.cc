// The separate compilation of Asio: every other file sees declarations only.
#include <boost/asio/impl/src.hpp>
