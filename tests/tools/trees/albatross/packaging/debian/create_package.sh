#!/bin/sh -e
echo 'bin: [ "albatross.deb" ]' >albatross.install
echo nothing >albatross.deb
