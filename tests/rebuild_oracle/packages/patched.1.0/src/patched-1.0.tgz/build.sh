cat text.txt sub/other.txt >built.txt
