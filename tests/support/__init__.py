"""What several tests share: repositories, servers, files, and ways to break them."""
